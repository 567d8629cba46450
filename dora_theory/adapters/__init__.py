"""Rules of this package inside other people's search loops, each adapter as thin as they allow.

`lines` works on the objects of search-and-learn and of REBASE, which are not packages; `its_hub`
and `treequest` need the package of that name, which is loaded when an adapter is made.
"""
