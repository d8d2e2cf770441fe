"""Where instances are placed on an Outpost, and what an Outpost offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Resource = Literal[
    "ec2", "ecs", "app-mesh", "greengrass", "eks-node", "rds", "elasticache", "emr", "alb"
]
"""What an instance is to AWS."""

Storage = Literal["ebs", "s3"]

RACKS_ONLY: dict[Resource | Storage | Literal["resolver"], str] = {
    "eks-node": "Amazon EKS nodes",
    "rds": "Amazon RDS",
    "elasticache": "Amazon ElastiCache",
    "emr": "Amazon EMR",
    "alb": "Application Load Balancers",
    "ebs": "Amazon EBS volumes",
    "s3": "Amazon S3 on Outposts",
    "resolver": "Route 53 Resolver",
}
"""What Outposts servers do not offer (AWS: what is AWS Outposts, the table of resources)."""


@dataclass(frozen=True, slots=True)
class PlacementGroup:
    """How instances lie to each other: close together, or on different hosts or racks."""

    name: str
    strategy: Literal["cluster", "spread"]
    spread_level: Literal["host", "rack"] = "host"
