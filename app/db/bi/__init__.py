"""What the SQL views for BI tools are made quick with; the views are in `migrations/views`."""
