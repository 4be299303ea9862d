-- A lookup for each recipient of the campaigns that are asked for.
CREATE VIEW bi_v1.recipients_awaited AS
SELECT
    c.id::text AS campaign_id,
    c.tracking_id AS campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN n.name
        ELSE bi_v1.masked_text(n.name)
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN n.label
        ELSE bi_v1.masked_text(n.label)
    END AS campaign_label,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN r.recipient
        ELSE bi_v1.masked_number(r.recipient)
    END AS recipient,
    bi_recipient_key((SELECT recipient_secret FROM bi_viewer), r.recipient) AS recipient_key,
    c.created_at
FROM campaigns AS c
JOIN bi_campaigns AS n ON n.id = c.id
CROSS JOIN LATERAL (
    SELECT DISTINCT coalesce(canonical_number(t.given), t.given) AS recipient
    FROM bi_texts_of(c.request, 'to') AS t (given)
    WHERE t.given <> ''
) AS r
WHERE c.submission NOT IN ('rejected', 'cancelled')
    AND NOT EXISTS (
        SELECT FROM messages AS m
        WHERE m.recipient = r.recipient AND (
            m.campaign_tracking_id = c.tracking_id
            OR (c.tracking_id IS NULL AND m.campaign_tracking_id IS NULL AND m.campaign_id = c.id)
        )
        OFFSET 0
    );

COMMENT ON VIEW bi_v1.recipients_awaited IS 'Recipients of a campaign that was launched here of whom no callback came so far, one row for each of them and each campaign. Recipients that Routee alone knows (contacts and groups) are not in it. What retention removed is awaited again: ask for campaigns that are younger. Ask for one campaign, or some: each recipient is looked up.';
COMMENT ON COLUMN bi_v1.recipients_awaited.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign.';
COMMENT ON COLUMN bi_v1.recipients_awaited.campaign_tracking_id IS 'Routee''s id of the campaign; NULL until it is known.';
COMMENT ON COLUMN bi_v1.recipients_awaited.campaign_name IS 'The name of the campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.recipients_awaited.campaign_label IS 'The label of the campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.recipients_awaited.recipient IS 'The number, masked to its last three digits unless the role is a member of bi_reader_pii. Masked numbers of different people look the same: count and join people by recipient_key.';
COMMENT ON COLUMN bi_v1.recipients_awaited.recipient_key IS 'Stands for the recipient, also where the number is masked: the same in every view and at any time, until the recipient is erased. Count and join recipients by it. It does not give the number away, and another database has other keys.';
COMMENT ON COLUMN bi_v1.recipients_awaited.created_at IS 'When the campaign was first known here.';
