"""What a mail names: orders, addresses of servers, services, hosts, customers."""
