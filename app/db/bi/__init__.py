"""All that analysts' BI tools need beside the views: roll-ups, roles, logins and limits."""
