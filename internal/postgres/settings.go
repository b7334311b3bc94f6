package postgres

// settings of the private server, for a small machine that it shares with the hub.
func settings() []string {
	return []string{
		// Nobody but the hub: no port, and a socket in a folder that only the server's user may enter.
		"listen_addresses=",
		"unix_socket_permissions=0700",
		"timezone=UTC",

		"max_connections=100",
		"shared_buffers=128MB",
		"work_mem=8MB",
		"maintenance_work_mem=64MB",
		"random_page_cost=1.1", // SSDs; the default of 4 makes the planner avoid indexes
		"jit=off",              // compiling costs more than our short statements take
		"max_locks_per_transaction=128",

		// Commits that wait for the same flush share it by themselves (no commit_delay). Full pages are most of the
		// log, and compress well.
		"wal_compression=on",
		"wal_buffers=16MB",
		"min_wal_size=128MB",
		"max_wal_size=1GB", // bounds recovery to some seconds

		// The outbox, the spine's cursors and conversations change the same rows again and again.
		"autovacuum_naptime=20s",
		"autovacuum_max_workers=2",
		"autovacuum_vacuum_scale_factor=0.05",
		"autovacuum_analyze_scale_factor=0.05",
		"autovacuum_vacuum_cost_limit=1000",

		// The log goes to our file. Statements and row contents stay out of it: they are what customers wrote.
		"logging_collector=off",
		"log_destination=stderr",
		"log_timezone=UTC",
		"log_line_prefix=%m [%p] %a ",
		"log_min_messages=warning",
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
		"log_checkpoints=off",
	}
}
