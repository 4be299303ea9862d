"""As a notebook with pandas: the frame's types, and its sums."""

import json
import os
import sys

import pandas as pd
import sqlalchemy

url = sqlalchemy.URL.create(
    "postgresql+psycopg2",
    os.environ["PGUSER"],
    os.environ["PGPASSWORD"],
    os.environ["PGHOST"],
    int(os.environ["PGPORT"]),
    os.environ["PGDATABASE"],
)
engine = sqlalchemy.create_engine(url)
campaigns = pd.read_sql_table("campaigns", engine, schema="bi_v1")
messages = pd.read_sql(
    "SELECT * FROM messages", engine, index_col="message_tracking_id", chunksize=500
)
read = pd.concat(messages)
json.dump(
    {
        "messages": int(campaigns["messages"].sum()),
        "rows": len(read),
        "price": f"{read['price'].sum():.4f}",
        "people": int(read["recipient_key"].nunique()),
        "rate": str(campaigns["delivery_rate"].dtype),
        "time": str(read["delivered_at"].dtype).partition("[")[0],
        "zone": str(read["delivered_at"].dt.tz),
    },
    sys.stdout,
)
