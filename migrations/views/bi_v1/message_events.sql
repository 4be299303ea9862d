-- In two parts, so that a condition on occurred_at prunes partitions.
CREATE VIEW bi_v1.message_events AS
SELECT
    e.id,
    e.message_tracking_id,
    (CASE WHEN e.campaign_tracking_id IS NULL THEN e.campaign_id ELSE c.id END)::text AS campaign_id,
    e.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN coalesce(c.name, o.name)
        ELSE bi_v1.masked_text(coalesce(c.name, o.name))
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN coalesce(c.label, o.label)
        ELSE bi_v1.masked_text(coalesce(c.label, o.label))
    END AS campaign_label,
    e.occurred_at,
    e.received_at,
    e.created_at,
    CASE WHEN e.status_key IN (SELECT s.status FROM statuses AS s) THEN e.status_key ELSE 'UNKNOWN' END
        AS status,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN e.provider_status
        ELSE bi_v1.masked_text(e.provider_status)
    END AS provider_status,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN e.detailed_status
        ELSE bi_v1.masked_text(e.detailed_status)
    END AS detailed_status,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN e.description
        ELSE bi_v1.masked_text(e.description)
    END AS description,
    CASE e.source WHEN 0 THEN 'callback' WHEN 1 THEN 'tracking' ELSE 'other' END AS source,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN e.recipient
        ELSE bi_v1.masked_number(e.recipient)
    END AS recipient,
    bi_recipient_key((SELECT recipient_secret FROM bi_viewer), e.recipient) AS recipient_key,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN e.sender
        ELSE bi_v1.masked_text(e.sender)
    END AS sender,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN e.country
        ELSE bi_v1.masked_text(e.country)
    END AS country,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN e.label
        ELSE bi_v1.masked_text(e.label)
    END AS label,
    e.price,
    (SELECT currency FROM bi_viewer) AS currency
FROM (
    SELECT
        id, message_tracking_id, campaign_id, campaign_tracking_id, occurred_at, received_at,
        created_at, status_key, provider_status, detailed_status, description, source,
        recipient, sender, country, label, price
    FROM events
    WHERE occurred_at <> '1970-01-01T00:00:00Z'::timestamptz
    UNION ALL
    SELECT
        id, message_tracking_id, campaign_id, campaign_tracking_id, NULL, received_at,
        created_at, status_key, provider_status, detailed_status, description, source,
        recipient, sender, country, label, price
    FROM events
    WHERE occurred_at = '1970-01-01T00:00:00Z'::timestamptz
) AS e
LEFT JOIN bi_campaigns AS c ON c.tracking_id = e.campaign_tracking_id
LEFT JOIN bi_campaigns AS o ON o.id = e.campaign_id AND e.campaign_tracking_id IS NULL;

COMMENT ON VIEW bi_v1.message_events IS 'One row for each stored event: a message reached a status at a time. Repetitions of a callback are one event. Events are removed by retention before messages are.';
COMMENT ON COLUMN bi_v1.message_events.id IS 'Our id of the event, in the order of storing, nearly.';
COMMENT ON COLUMN bi_v1.message_events.message_tracking_id IS 'bi_v1.messages.message_tracking_id of the message.';
COMMENT ON COLUMN bi_v1.message_events.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign that the event names, or through whose callback URL it came.';
COMMENT ON COLUMN bi_v1.message_events.campaign_tracking_id IS 'Routee''s id of that campaign; NULL when the event does not name it, although another event of the same message may.';
COMMENT ON COLUMN bi_v1.message_events.occurred_at IS 'When the status was reached, by Routee''s clock; NULL when Routee reported no time. Conditions on it are cheap.';
COMMENT ON COLUMN bi_v1.message_events.received_at IS 'When it was first received here.';
COMMENT ON COLUMN bi_v1.message_events.created_at IS 'When Routee created the message, by its own clock.';
COMMENT ON COLUMN bi_v1.message_events.status IS 'The status that was reached; UNKNOWN for a status that is not known here.';
COMMENT ON COLUMN bi_v1.message_events.provider_status IS 'The status in Routee''s own spelling.';
COMMENT ON COLUMN bi_v1.message_events.detailed_status IS 'Routee''s reason in short.';
COMMENT ON COLUMN bi_v1.message_events.description IS 'Routee''s reason in a sentence, telephone numbers in it masked unless the role is a member of bi_reader_pii.';
COMMENT ON COLUMN bi_v1.message_events.source IS 'callback: Routee posted it; tracking: Routee was asked.';
COMMENT ON COLUMN bi_v1.message_events.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.message_events.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.message_events.recipient IS 'The number the message went to, masked to its last three digits unless the role is a member of bi_reader_pii. Masked numbers of different people look the same: count and join people by recipient_key.';
COMMENT ON COLUMN bi_v1.message_events.recipient_key IS 'Stands for the recipient, also where the number is masked: the same in every view and at any time, until the recipient is erased. Count and join recipients by it. It does not give the number away, and another database has other keys.';
COMMENT ON COLUMN bi_v1.message_events.sender IS 'The Viber sender.';
COMMENT ON COLUMN bi_v1.message_events.country IS 'The recipient''s country as Routee spells it.';
COMMENT ON COLUMN bi_v1.message_events.label IS 'The label as this event repeats it; campaign_label is that of the campaign.';
COMMENT ON COLUMN bi_v1.message_events.price IS 'The price of the message by this event, in the currency of the Routee account. Do not add it up over events: each repeats it.';
COMMENT ON COLUMN bi_v1.message_events.currency IS 'The currency of the Routee account, of all prices and costs: RECEIVER_CURRENCY; NULL when that is not set.';
