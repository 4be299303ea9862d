{{ config(materialized='table') }}
SELECT c.campaign_label, count(m.message_tracking_id) AS messages, sum(m.price) AS price
FROM {{ source('routee', 'campaigns') }} AS c
JOIN {{ ref('messages') }} AS m ON m.campaign_id = c.campaign_id
GROUP BY c.campaign_label
