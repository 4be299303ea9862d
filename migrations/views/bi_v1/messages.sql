CREATE VIEW bi_v1.messages AS
SELECT
    m.message_tracking_id,
    (CASE WHEN m.campaign_tracking_id IS NULL THEN m.campaign_id ELSE c.id END)::text AS campaign_id,
    m.campaign_tracking_id,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN coalesce(c.name, o.name)
        ELSE bi_v1.masked_text(coalesce(c.name, o.name))
    END AS campaign_name,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN coalesce(c.label, o.label)
        ELSE bi_v1.masked_text(coalesce(c.label, o.label))
    END AS campaign_label,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN m.recipient
        ELSE bi_v1.masked_number(m.recipient)
    END AS recipient,
    bi_recipient_key((SELECT recipient_secret FROM bi_viewer), m.recipient) AS recipient_key,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN m.sender
        ELSE bi_v1.masked_text(m.sender)
    END AS sender,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN m.country
        ELSE bi_v1.masked_text(m.country)
    END AS country,
    CASE
        WHEN (SELECT sees_labels FROM bi_viewer) THEN m.label
        ELSE bi_v1.masked_text(m.label)
    END AS label,
    m.price,
    (SELECT currency FROM bi_viewer) AS currency,
    m.status,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN m.provider_status
        ELSE bi_v1.masked_text(m.provider_status)
    END AS provider_status,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN m.detailed_status
        ELSE bi_v1.masked_text(m.detailed_status)
    END AS detailed_status,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN m.description
        ELSE bi_v1.masked_text(m.description)
    END AS description,
    nullif(m.status_at, '1970-01-01T00:00:00Z'::timestamptz) AS status_at,
    m.created_at,
    m.queued_at,
    m.sent_at,
    m.delivered_at,
    m.seen_at,
    m.failed_at,
    m.updated_at,
    extract(epoch FROM m.sent_at - m.queued_at)::double precision AS queued_to_sent_seconds,
    extract(epoch FROM m.delivered_at - m.sent_at)::double precision AS sent_to_delivered_seconds,
    extract(epoch FROM m.seen_at - m.delivered_at)::double precision AS delivered_to_seen_seconds,
    extract(epoch FROM m.delivered_at - coalesce(m.queued_at, m.sent_at, m.created_at))::double precision
        AS seconds_to_deliver,
    coalesce(CASE
        WHEN m.status_rank >= 3 THEN false
        WHEN m.campaign_tracking_id IS NOT NULL THEN (
            SELECT f.finished_at IS NOT NULL AND f.submission IN ('launched', 'observed')
            FROM campaigns AS f WHERE f.tracking_id = m.campaign_tracking_id
        )
        ELSE (
            SELECT f.finished_at IS NOT NULL AND f.submission IN ('launched', 'observed')
            FROM campaigns AS f WHERE f.id = m.campaign_id
        )
    END, false) AS overdue
FROM messages AS m
LEFT JOIN bi_campaigns AS c ON c.tracking_id = m.campaign_tracking_id
LEFT JOIN bi_campaigns AS o ON o.id = m.campaign_id AND m.campaign_tracking_id IS NULL;

COMMENT ON VIEW bi_v1.messages IS 'One row for each message of which at least one callback came: where it stands now, and when it got where. Times that Routee did not report are NULL.';
COMMENT ON COLUMN bi_v1.messages.message_tracking_id IS 'Routee''s id of the message.';
COMMENT ON COLUMN bi_v1.messages.campaign_id IS 'bi_v1.campaigns.campaign_id of its campaign; NULL when no callback names the campaign.';
COMMENT ON COLUMN bi_v1.messages.campaign_tracking_id IS 'Routee''s id of its campaign; NULL until a callback names it.';
COMMENT ON COLUMN bi_v1.messages.campaign_name IS 'The name of its campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.messages.campaign_label IS 'The label of its campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.messages.recipient IS 'The number it went to, masked to its last three digits unless the role is a member of bi_reader_pii. Masked numbers of different people look the same: count and join people by recipient_key.';
COMMENT ON COLUMN bi_v1.messages.recipient_key IS 'Stands for the recipient, also where the number is masked: the same in every view and at any time, until the recipient is erased. Count and join recipients by it. It does not give the number away, and another database has other keys.';
COMMENT ON COLUMN bi_v1.messages.sender IS 'The Viber sender it came from.';
COMMENT ON COLUMN bi_v1.messages.country IS 'The recipient''s country as Routee spells it.';
COMMENT ON COLUMN bi_v1.messages.label IS 'The label as the message''s own callbacks repeat it; campaign_label is that of the campaign.';
COMMENT ON COLUMN bi_v1.messages.price IS 'What Routee charges for it, in the currency of the Routee account: the greatest price reported. NULL while none was reported.';
COMMENT ON COLUMN bi_v1.messages.currency IS 'The currency of the Routee account, of all prices and costs: RECEIVER_CURRENCY; NULL when that is not set.';
COMMENT ON COLUMN bi_v1.messages.status IS 'Where it stands: QUEUED, SENT, UNDELIVERED, EXPIRED, FAILED, UNSENT, DELIVERED, SEEN, or UNKNOWN for a status that is not known here.';
COMMENT ON COLUMN bi_v1.messages.provider_status IS 'The status in Routee''s own spelling.';
COMMENT ON COLUMN bi_v1.messages.detailed_status IS 'Routee''s reason in short, for instance Not Viber User or Opted Out.';
COMMENT ON COLUMN bi_v1.messages.description IS 'Routee''s reason in a sentence, telephone numbers in it masked unless the role is a member of bi_reader_pii.';
COMMENT ON COLUMN bi_v1.messages.status_at IS 'When it reached its status, by Routee''s clock; NULL when Routee reported no time.';
COMMENT ON COLUMN bi_v1.messages.created_at IS 'When Routee created it, by its own clock.';
COMMENT ON COLUMN bi_v1.messages.queued_at IS 'When it was first QUEUED; NULL when not reported.';
COMMENT ON COLUMN bi_v1.messages.sent_at IS 'When it was first SENT; NULL when not reported. Routee does not report it for every message.';
COMMENT ON COLUMN bi_v1.messages.delivered_at IS 'When it was first DELIVERED; NULL when not reported, which does not mean that it was not delivered.';
COMMENT ON COLUMN bi_v1.messages.seen_at IS 'When it was first SEEN; NULL when not reported.';
COMMENT ON COLUMN bi_v1.messages.failed_at IS 'When it first failed (UNDELIVERED, EXPIRED, FAILED or UNSENT), also when it was delivered later.';
COMMENT ON COLUMN bi_v1.messages.updated_at IS 'When its row here last changed, by our clock.';
COMMENT ON COLUMN bi_v1.messages.queued_to_sent_seconds IS 'Seconds between queued_at and sent_at; NULL when either is. Negative where Routee''s times contradict each other.';
COMMENT ON COLUMN bi_v1.messages.sent_to_delivered_seconds IS 'Seconds between sent_at and delivered_at; NULL when either is. May be negative.';
COMMENT ON COLUMN bi_v1.messages.delivered_to_seen_seconds IS 'Seconds between delivered_at and seen_at; NULL when either is. May be negative; the percentiles of campaigns leave such out.';
COMMENT ON COLUMN bi_v1.messages.seconds_to_deliver IS 'Seconds between queued_at (sent_at or created_at, where that is NULL) and delivered_at: what the percentiles of campaigns are made of, negative ones left out.';
COMMENT ON COLUMN bi_v1.messages.overdue IS 'Whether it has no final status although its campaign is finished: neither a callback nor Routee''s tracking gave one so far.';
