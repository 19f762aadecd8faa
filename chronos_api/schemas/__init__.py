"""What requests and answers look like: marshmallow schemas, which the OpenAPI document shows."""
