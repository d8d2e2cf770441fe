"""Announcing service addresses on a LAN by ARP, as MetalLB's layer-2 mode does."""
