"""As programs that read Arrow: what there is, its types, and its rows."""

import json
import os
import sys
from urllib.parse import quote

from adbc_driver_postgresql import dbapi

account = f"{os.environ['PGUSER']}:{quote(os.environ['PGPASSWORD'], safe='')}"
where = f"{os.environ['PGHOST']}:{os.environ['PGPORT']}/{os.environ['PGDATABASE']}"
with dbapi.connect(f"postgresql://{account}@{where}") as connection:
    catalog = connection.adbc_get_objects(depth="tables", db_schema_filter="bi_v1").read_all()
    [schema] = [
        it
        for entry in catalog.to_pylist()
        for it in entry["catalog_db_schemas"] or []
        if it["db_schema_name"] == "bi_v1"
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM messages")
        table = cursor.fetch_arrow_table()
        cursor.execute(
            "SELECT sum(messages)::int8 FROM campaigns WHERE campaign_label = $1", ("spring",)
        )
        [[spring]] = cursor.fetchall()
json.dump(
    {
        "views": len(schema["db_schema_tables"]),
        "rows": table.num_rows,
        "people": len(set(table["recipient_key"].to_pylist())),
        "spring": spring,
        "types": [
            str(table.schema.field(it).type)
            for it in ("campaign_id", "delivered_at", "seconds_to_deliver")
        ],
    },
    sys.stdout,
)
