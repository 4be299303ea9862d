{{ config(materialized='incremental', unique_key='message_tracking_id') }}
SELECT message_tracking_id, campaign_id, recipient_key, status, price, updated_at
FROM {{ source('routee', 'messages') }}
{% if is_incremental() %}
WHERE updated_at >= (SELECT max(updated_at) FROM {{ this }})
{% endif %}
