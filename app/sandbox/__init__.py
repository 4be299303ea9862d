"""Programs to try and to prove the service: the simulated Routee, the demo and the drill."""
