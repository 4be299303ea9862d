"""As a notebook with polars, by both of its ways to read."""

import json
import os
import sys
from urllib.parse import quote

import polars as pl

account = f"{os.environ['PGUSER']}:{quote(os.environ['PGPASSWORD'], safe='')}"
where = f"{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
uri = f"postgresql://{account}@{where}"
# ADBC gives `numeric` as a type of its own that does not compute: ask it for another one.
query = "SELECT message_tracking_id, campaign_id, recipient_key, delivered_at"
by_adbc = pl.read_database_uri(f"{query}, price::float8 FROM bi_v1.messages", uri, engine="adbc")
by_connectorx = pl.read_database_uri(f"{query}, price FROM messages", uri, engine="connectorx")
campaigns = pl.read_database_uri("SELECT * FROM campaigns", uri, engine="connectorx")
json.dump(
    {
        "messages": int(campaigns["messages"].sum()),
        "rows": [by_adbc.height, by_connectorx.height],
        "price": [f"{frame['price'].sum():.4f}" for frame in (by_adbc, by_connectorx)],
        "people": by_adbc["recipient_key"].n_unique(),
        "types": [str(by_adbc.schema[it]) for it in ("campaign_id", "delivered_at")],
        "rate": str(campaigns.schema["delivery_rate"]),
    },
    sys.stdout,
)
