"""From files to records: `sources` opens, `formats` knows the tools' layouts, `record` results."""
