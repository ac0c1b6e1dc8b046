"""Clients: wrk for the peak, a lone caller, a constant rate, health probes."""
