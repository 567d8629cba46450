"""Tables, pictures and the one page that show a replay or a calibration.

`summary` makes the JSON document of a log, `table` and `conclusion` its text, `picture` its curves,
`page` all of it as HTML by the parts of `html`; `kinds` does the same for `--across` and
`--metrics`, whose tables and curves have modules of their own.
"""
