"""What the tests of figures look into."""

import io

import polars as pl


def data_of(chart) -> pl.DataFrame:
    """The CSV inside a chart; lists are thresholds, a zero line or the bounds."""
    texts = [data for data in chart.to_dict(validate=False)["datasets"].values() if isinstance(data, str)]
    assert len(texts) == 1
    return pl.read_csv(io.StringIO(texts[0]), infer_schema_length=None)
