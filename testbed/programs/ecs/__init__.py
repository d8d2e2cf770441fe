"""Amazon ECS: its control plane, in the Region, and its agent, on each container instance."""
