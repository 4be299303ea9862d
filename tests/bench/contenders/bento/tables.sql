-- Where Bento stores callbacks: each as often as it comes. There is no message to merge and nothing to
-- count; the least that is needed to ask for a message is there, a key of the row and an index by the message.
CREATE SCHEMA bento;

CREATE TABLE bento.callbacks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_tracking_id text NOT NULL,
    status text NOT NULL,
    occurred_at timestamptz,
    detailed_status text,
    description text,
    campaign_tracking_id text,
    recipient text,
    sender text,
    country text,
    label text,
    price numeric,
    created_at timestamptz,
    payload bytea
);
CREATE INDEX ON bento.callbacks (message_tracking_id);

-- Each event once, as the other contenders have it.
CREATE VIEW bento.distinct_callbacks AS
SELECT DISTINCT message_tracking_id, status, occurred_at FROM bento.callbacks;
