-- In four parts, so that a condition on the campaign, by either id, reaches an index of it: the reply
-- names the campaign; the message that it answers does; that is bound by a callback URL; none of it.
CREATE VIEW bi_v1.inbound_messages AS
SELECT
    r.id,
    r.campaign_id::text AS campaign_id,
    r.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN r.campaign_name
        ELSE bi_v1.masked_text(r.campaign_name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN r.campaign_label
        ELSE bi_v1.masked_text(r.campaign_label)
    END AS campaign_label,
    r.message_tracking_id,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN r.replied_by
        ELSE bi_v1.masked_number(r.replied_by)
    END AS replied_by,
    bi_recipient_key((SELECT recipient_secret FROM bi_viewer), r.replied_by) AS recipient_key,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN r.sender
        ELSE bi_v1.masked_text(r.sender)
    END AS sender,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN r.message
        ELSE bi_v1.masked_text(r.message)
    END AS message,
    r.has_media,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN r.label
        ELSE bi_v1.masked_text(r.label)
    END AS label,
    r.sent_at,
    r.received_at
FROM (
    SELECT
        i.id, c.id AS campaign_id, i.campaign_tracking_id, c.name AS campaign_name,
        c.label AS campaign_label,
        i.reference_tracking_id AS message_tracking_id, i.sender AS replied_by,
        i.recipient AS sender, i.message, i.media IS NOT NULL AS has_media, i.label, i.sent_at,
        i.received_at
    FROM inbound_messages AS i
    LEFT JOIN bi_campaigns AS c ON c.tracking_id = i.campaign_tracking_id
    WHERE i.campaign_tracking_id IS NOT NULL
    UNION ALL
    SELECT
        i.id, c.id, m.campaign_tracking_id, c.name, c.label, i.reference_tracking_id, i.sender,
        i.recipient, i.message, i.media IS NOT NULL, i.label, i.sent_at, i.received_at
    FROM inbound_messages AS i
    JOIN messages AS m ON m.message_tracking_id = i.reference_tracking_id
    LEFT JOIN bi_campaigns AS c ON c.tracking_id = m.campaign_tracking_id
    WHERE i.campaign_tracking_id IS NULL AND m.campaign_tracking_id IS NOT NULL
    UNION ALL
    SELECT
        i.id, m.campaign_id, NULL, c.name, c.label, i.reference_tracking_id, i.sender,
        i.recipient, i.message, i.media IS NOT NULL, i.label, i.sent_at, i.received_at
    FROM inbound_messages AS i
    JOIN messages AS m ON m.message_tracking_id = i.reference_tracking_id
    LEFT JOIN bi_campaigns AS c ON c.id = m.campaign_id
    WHERE i.campaign_tracking_id IS NULL
        AND m.campaign_tracking_id IS NULL AND m.campaign_id IS NOT NULL
    UNION ALL
    SELECT
        i.id, i.campaign_id, NULL, c.name, c.label, i.reference_tracking_id, i.sender,
        i.recipient, i.message, i.media IS NOT NULL, i.label, i.sent_at, i.received_at
    FROM inbound_messages AS i
    LEFT JOIN bi_campaigns AS c ON c.id = i.campaign_id
    WHERE i.campaign_tracking_id IS NULL AND NOT EXISTS (
        SELECT FROM messages AS m
        WHERE m.message_tracking_id = i.reference_tracking_id
            AND (m.campaign_tracking_id IS NOT NULL OR m.campaign_id IS NOT NULL)
    )
) AS r;

COMMENT ON VIEW bi_v1.inbound_messages IS 'One row for each reply of a recipient; the same reply posted twice is one.';
COMMENT ON COLUMN bi_v1.inbound_messages.id IS 'Our id of the reply.';
COMMENT ON COLUMN bi_v1.inbound_messages.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign that the reply names, else of the message that it answers.';
COMMENT ON COLUMN bi_v1.inbound_messages.campaign_tracking_id IS 'Routee''s id of that campaign.';
COMMENT ON COLUMN bi_v1.inbound_messages.campaign_name IS 'The name of that campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.inbound_messages.campaign_label IS 'The label of that campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.inbound_messages.message_tracking_id IS 'bi_v1.messages.message_tracking_id of the message that is answered; NULL when the reply names none.';
COMMENT ON COLUMN bi_v1.inbound_messages.replied_by IS 'The number of the person who replied, masked to its last three digits unless the role is a member of bi_reader_pii. Masked numbers of different people look the same: count and join people by recipient_key.';
COMMENT ON COLUMN bi_v1.inbound_messages.recipient_key IS 'Stands for the person who replied, who is the recipient of the messages: the same as in every other view, until the person is erased. Count and join people by it.';
COMMENT ON COLUMN bi_v1.inbound_messages.sender IS 'The Viber sender that was replied to.';
COMMENT ON COLUMN bi_v1.inbound_messages.message IS 'The text of the reply: it may contain whatever a person writes. What looks like a telephone number is masked, unless the role is a member of bi_reader_pii.';
COMMENT ON COLUMN bi_v1.inbound_messages.has_media IS 'Whether something was attached.';
COMMENT ON COLUMN bi_v1.inbound_messages.label IS 'The label as the reply repeats it; campaign_label is that of the campaign.';
COMMENT ON COLUMN bi_v1.inbound_messages.sent_at IS 'When it was sent, by Routee''s clock; NULL when not reported.';
COMMENT ON COLUMN bi_v1.inbound_messages.received_at IS 'When it was received here.';
