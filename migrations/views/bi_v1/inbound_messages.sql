CREATE VIEW bi_v1.inbound_messages WITH (security_barrier) AS
SELECT
    i.id,
    CASE
        WHEN coalesce(i.campaign_tracking_id, m.campaign_tracking_id) IS NOT NULL THEN c.id
        ELSE coalesce(m.campaign_id, i.campaign_id)
    END AS campaign_id,
    coalesce(i.campaign_tracking_id, m.campaign_tracking_id) AS campaign_tracking_id,
    i.reference_tracking_id AS message_tracking_id,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN i.sender
        ELSE bi_v1.masked_number(i.sender)
    END AS replied_by,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN i.recipient
        ELSE bi_v1.masked_text(i.recipient)
    END AS sender,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN i.message
        ELSE bi_v1.masked_text(i.message)
    END AS message,
    i.media IS NOT NULL AS has_media,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN i.label
        ELSE bi_v1.masked_text(i.label)
    END AS label,
    i.sent_at,
    i.received_at
FROM inbound_messages AS i
LEFT JOIN messages AS m ON m.message_tracking_id = i.reference_tracking_id
LEFT JOIN campaigns AS c
    ON c.tracking_id = coalesce(i.campaign_tracking_id, m.campaign_tracking_id);

COMMENT ON VIEW bi_v1.inbound_messages IS 'One row for each reply of a recipient; the same reply posted twice is one.';
COMMENT ON COLUMN bi_v1.inbound_messages.id IS 'Our id of the reply.';
COMMENT ON COLUMN bi_v1.inbound_messages.campaign_id IS 'bi_v1.campaigns.id of the campaign that the reply names, else of the message that it answers.';
COMMENT ON COLUMN bi_v1.inbound_messages.campaign_tracking_id IS 'Routee''s id of that campaign.';
COMMENT ON COLUMN bi_v1.inbound_messages.message_tracking_id IS 'bi_v1.messages.tracking_id of the message that is answered; NULL when the reply names none.';
COMMENT ON COLUMN bi_v1.inbound_messages.replied_by IS 'The number of the person who replied, masked to its last three digits unless the role is a member of bi_reader_pii.';
COMMENT ON COLUMN bi_v1.inbound_messages.sender IS 'The Viber sender that was replied to.';
COMMENT ON COLUMN bi_v1.inbound_messages.message IS 'The text of the reply: it may contain whatever a person writes. What looks like a telephone number is masked, unless the role is a member of bi_reader_pii.';
COMMENT ON COLUMN bi_v1.inbound_messages.has_media IS 'Whether something was attached.';
COMMENT ON COLUMN bi_v1.inbound_messages.label IS 'The label of the campaign as the reply repeats it.';
COMMENT ON COLUMN bi_v1.inbound_messages.sent_at IS 'When it was sent, by Routee''s clock; NULL when not told.';
COMMENT ON COLUMN bi_v1.inbound_messages.received_at IS 'When it was received here.';
