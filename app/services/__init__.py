"""The stories of the service: launch, intake, and the duties."""
