-- Where Bento stores callbacks: each as often as it comes. There is no index to keep, no message to merge
-- and nothing to count.
CREATE SCHEMA bento;

CREATE TABLE bento.callbacks (
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

-- Each event once, as the other contenders have it.
CREATE VIEW bento.distinct_callbacks AS
SELECT DISTINCT message_tracking_id, status, occurred_at FROM bento.callbacks;
