"""What reads SPSS files in a process of its own: the library in C that does so breaks down on many a damaged file.

Takes the file from standard input and writes JSON to standard output: for each variable its values (None: missing),
format, measure and value labels. Imports nothing of threers, so that it starts at once.
"""

import io
import json
import sys


def main(most_cells: int) -> None:
    """Read one file; `most_cells`: the rows times columns beyond which nothing is read."""
    import pyreadstat

    content = sys.stdin.buffer.read()
    # From memory: no copy of the data is left on the disk.
    _, about = pyreadstat.read_sav(io.BytesIO(content), metadataonly=True)
    most_rows = most_cells // max(1, len(about.column_names))
    # Its own conversion of times turns 30 hours into 6.
    frame, about = pyreadstat.read_sav(io.BytesIO(content), disable_datetime_conversion=True, row_limit=most_rows + 1)
    if len(frame) > most_rows:
        sys.exit(f"more than {most_cells} cells")
    variables = [
        {
            "name": name,
            "values": [None if value != value else value for value in frame[name].tolist()],
            "format": about.original_variable_types.get(name, ""),
            "measure": about.variable_measure.get(name, ""),
            "labels": list(about.variable_value_labels.get(name, {}).items()),
        }
        for name in frame.columns
    ]
    sys.stdout.buffer.write(json.dumps(variables).encode("utf-8", "replace"))


if __name__ == "__main__":
    main(int(sys.argv[1]))
