"""Programs to try and to prove the service: the simulated Routee and the demo."""
