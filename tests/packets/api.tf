# What Terraform makes of an Outpost as it is delivered (docs/api.md).
terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "3.39.0" }
  }
}

provider "aws" {
  region                      = "us-west-2"
  access_key                  = "AKIATESTBED000000000"
  secret_key                  = "any-secret-at-all"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    ec2      = "ENDPOINT"
    outposts = "ENDPOINT"
    sts      = "ENDPOINT"
  }
}

data "aws_outposts_outposts" "all" {}
data "aws_outposts_outpost" "op" { id = tolist(data.aws_outposts_outposts.all.ids)[0] }
data "aws_ec2_local_gateway_route_tables" "all" {}
data "aws_ec2_local_gateways" "all" {}
data "aws_ec2_local_gateway_virtual_interface_groups" "all" {}

locals {
  gateway = tolist(data.aws_ec2_local_gateways.all.ids)[0]
  table   = tolist(data.aws_ec2_local_gateway_route_tables.all.ids)[0]
  group   = tolist(data.aws_ec2_local_gateway_virtual_interface_groups.all.ids)[0]
}

resource "aws_vpc" "app" {
  cidr_block = "10.77.0.0/16"
  tags       = { Name = "app" }
}

resource "aws_subnet" "rack" {
  vpc_id            = aws_vpc.app.id
  cidr_block        = "10.77.7.0/24"
  outpost_arn       = data.aws_outposts_outpost.op.arn
  availability_zone = data.aws_outposts_outpost.op.availability_zone
}

resource "aws_ec2_local_gateway_route_table_vpc_association" "app" {
  local_gateway_route_table_id = local.table
  vpc_id                       = aws_vpc.app.id
}

resource "aws_ec2_local_gateway_route" "out" {
  destination_cidr_block                   = "0.0.0.0/0"
  local_gateway_route_table_id             = local.table
  local_gateway_virtual_interface_group_id = local.group
}

resource "aws_route_table" "rack" { vpc_id = aws_vpc.app.id }

resource "aws_route" "out" {
  route_table_id         = aws_route_table.rack.id
  destination_cidr_block = "0.0.0.0/0"
  local_gateway_id       = local.gateway
  depends_on             = [aws_ec2_local_gateway_route_table_vpc_association.app]
}

resource "aws_route_table_association" "rack" {
  subnet_id      = aws_subnet.rack.id
  route_table_id = aws_route_table.rack.id
}

resource "aws_security_group" "web" {
  name   = "web"
  vpc_id = aws_vpc.app.id
  ingress {
    protocol    = "icmp"
    from_port   = -1
    to_port     = -1
    cidr_blocks = ["192.168.10.0/24"]
  }
  egress {
    protocol    = "-1"
    from_port   = 0
    to_port     = 0
    cidr_blocks = ["0.0.0.0/0"]
  }
}

resource "aws_instance" "web" {
  ami                    = "ami-00000000000000001"
  instance_type          = "c5.large"
  subnet_id              = aws_subnet.rack.id
  vpc_security_group_ids = [aws_security_group.web.id]
  tags                   = { Name = "web" }
}
