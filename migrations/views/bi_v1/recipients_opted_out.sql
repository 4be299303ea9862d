-- From the messages that are rolled up as opted out, the pending ones, and replies that say nothing else.
CREATE VIEW bi_v1.recipients_opted_out AS
SELECT
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN o.recipient
        ELSE bi_v1.masked_number(o.recipient)
    END AS recipient,
    bi_recipient_key((SELECT recipient_secret FROM bi_viewer), o.recipient) AS recipient_key,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN o.sender
        ELSE bi_v1.masked_text(o.sender)
    END AS sender,
    o.opted_out_by,
    o.messages,
    o.first_at,
    o.last_at
FROM (
    SELECT
        m.recipient,
        m.sender,
        'failure' AS opted_out_by,
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
    UNION ALL
    SELECT
        i.sender, i.recipient, 'reply', count(*), min(coalesce(i.sent_at, i.received_at)),
        max(coalesce(i.sent_at, i.received_at))
    FROM inbound_messages AS i
    WHERE i.sender IS NOT NULL AND length(i.message) <= 100
        AND bi_word(i.message) = ANY(ARRAY(SELECT bi_word(w) FROM bi_settings, unnest(opt_out_words) AS w))
    GROUP BY i.sender, i.recipient
) AS o;

COMMENT ON VIEW bi_v1.recipients_opted_out IS 'Recipients who do not want messages of a sender, one row for each of them, each sender and each way in which it became known: Routee failed a message to them with the reason Opted Out, or their whole reply was a word of RECEIVER_BI_OPT_OUT_WORDS. A recipient who opted out at Viber and was not written to since is not in it, and one who came back stays in it. A reply does not keep Routee from sending.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.recipient IS 'The number, masked to its last three digits unless the role is a member of bi_reader_pii. Masked numbers of different people look the same: count and join people by recipient_key.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.recipient_key IS 'Stands for the recipient, also where the number is masked: the same in every view and at any time, until the recipient is erased. Count and join recipients by it. It does not give the number away, and another database has other keys.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.sender IS 'The Viber sender that was opted out of; NULL when not reported.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.opted_out_by IS 'failure: messages to them failed; reply: they replied so. Count people by recipient_key, as one may be in it by both.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.messages IS 'Number of messages that failed because of it, or of such replies.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.first_at IS 'When the first of them failed or was sent, by Routee''s clock; NULL when not reported.';
COMMENT ON COLUMN bi_v1.recipients_opted_out.last_at IS 'When the last of them failed or was sent, by Routee''s clock; NULL when not reported.';
