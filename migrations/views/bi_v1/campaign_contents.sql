-- Beside `campaigns`, which is read more often: a request with many recipients takes milliseconds to open.
CREATE VIEW bi_v1.campaign_contents AS
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
    nullif(
        concat_ws(
            '+', CASE WHEN b.has_video THEN 'video' END, CASE WHEN b.text IS NOT NULL THEN 'text' END,
            CASE WHEN b.has_image THEN 'image' END, CASE WHEN b.has_button THEN 'button' END,
            CASE WHEN b.has_file THEN 'file' END
        ),
        ''
    ) AS kind,
    CASE
        WHEN (SELECT bi_v1.sees_numbers()) THEN b.text
        ELSE bi_v1.masked_text(b.text)
    END AS text,
    b.has_image,
    b.has_button,
    b.has_file,
    b.has_video
FROM campaigns AS c
JOIN bi_campaigns AS n ON n.id = c.id
CROSS JOIN LATERAL bi_content_of(c.request) AS b
WHERE c.request IS NOT NULL;

COMMENT ON VIEW bi_v1.campaign_contents IS 'What a campaign that was launched here says, one row for each: to compare how campaigns of different content did, join bi_v1.campaigns by campaign_id.';
COMMENT ON COLUMN bi_v1.campaign_contents.campaign_id IS 'bi_v1.campaigns.campaign_id of the campaign.';
COMMENT ON COLUMN bi_v1.campaign_contents.campaign_tracking_id IS 'Routee''s id of the campaign; NULL until it is known.';
COMMENT ON COLUMN bi_v1.campaign_contents.campaign_name IS 'The name of the campaign, as bi_v1.campaigns has it. Not unique: it may be given again once a launch was rejected or cancelled.';
COMMENT ON COLUMN bi_v1.campaign_contents.campaign_label IS 'The label of the campaign, as bi_v1.campaigns has it. Several campaigns may share it.';
COMMENT ON COLUMN bi_v1.campaign_contents.kind IS 'What it consists of, in this order: video, text, image, button, file, with + between them, for instance text+image+button; NULL when the request cannot be read.';
COMMENT ON COLUMN bi_v1.campaign_contents.text IS 'Its text, with placeholders such as [~name] as they are; telephone numbers in it are masked unless the role is a member of bi_reader_pii. NULL without one.';
COMMENT ON COLUMN bi_v1.campaign_contents.has_image IS 'Whether it has an image; NULL when the request cannot be read.';
COMMENT ON COLUMN bi_v1.campaign_contents.has_button IS 'Whether it has a button with a link.';
COMMENT ON COLUMN bi_v1.campaign_contents.has_file IS 'Whether it has a file.';
COMMENT ON COLUMN bi_v1.campaign_contents.has_video IS 'Whether it has a video.';
