-- From the messages that are rolled up as opted out, and the pending ones.
CREATE VIEW bi_v1.recipients_opted_out AS
SELECT
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN o.recipient
        ELSE bi_v1.masked_number(o.recipient)
    END AS recipient,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN o.sender
        ELSE bi_v1.masked_text(o.sender)
    END AS sender,
    o.messages,
    o.first_at,
    o.last_at
FROM (
    SELECT
        m.recipient,
        m.sender,
        count(*) AS messages,
        min(nullif(m.status_at, '1970-01-01T00:00:00Z'::timestamptz)) AS first_at,
        max(nullif(m.status_at, '1970-01-01T00:00:00Z'::timestamptz)) AS last_at
    FROM (
        SELECT message_tracking_id FROM bi_counted_messages
        WHERE lower(detailed_status) = 'opted out'
        UNION
        SELECT message_tracking_id FROM bi_pending_messages
        WHERE lower(detailed_status) = 'opted out' AND messages = 1
    ) AS t
    JOIN messages AS m ON m.message_tracking_id = t.message_tracking_id
    WHERE m.status_rank = 3 AND lower(m.detailed_status) = 'opted out' AND m.recipient IS NOT NULL
    GROUP BY m.recipient, m.sender
) AS o;

COMMENT ON VIEW bi_v1.recipients_opted_out IS 'Recipients who do not want messages of a sender: Routee failed a message to them with the reason Opted Out. Known from failed messages only; a recipient who opted out and was not written to since is not in it, and one who came back stays in it.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.recipient IS 'The number, masked to its last three digits unless the role is a member of bi_reader_pii. One row is one number, even where masked numbers look the same.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.sender IS 'The Viber sender that was opted out of; NULL when not reported.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.messages IS 'Number of messages that failed because of it.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.first_at IS 'When the first of them failed, by Routee''s clock; NULL when not reported.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.last_at IS 'When the last of them failed, by Routee''s clock; NULL when not reported.';
