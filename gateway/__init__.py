"""What a gateway embeds: the service, the reply router, the drivers and the neonize adapter."""
