package inbox

// FilesSQL gives the keys of every file that a row of this room names.
const FilesSQL = `SELECT blob FROM attachment WHERE blob <> '' UNION SELECT preview FROM attachment WHERE preview <> ''
UNION SELECT blob FROM canned_file UNION SELECT preview FROM canned_file WHERE preview <> ''
UNION SELECT blob FROM contact_export WHERE blob <> ''`

const (
	settleMessagesSQL = `UPDATE message m SET status = 'uncertain', version = m.version + 1,
	error = 'A backup was restored. It may have been sent after the backup was taken.'
FROM outbox o WHERE o.message_at = m.at AND o.message_id = m.id AND o.op = 'send' AND o.not_before <= now() AND o.state IN ('queued', 'sending')`
	settleOutboxSQL = `UPDATE outbox SET state = 'uncertain', done_at = now(),
	error = 'A backup was restored. It may have been sent after the backup was taken.'
WHERE op = 'send' AND not_before <= now() AND state IN ('queued', 'sending')`
)

// SettleSQL runs at the end of restoring a backup. What was on its way out then has most likely left since: people
// decide about it, nothing is sent to a customer for the second time by itself. What was to be sent later than now has
// not been sent, and an edit said twice does no harm: both go on. Nothing is published; a restored spine makes every
// screen read anew.
func SettleSQL() []string { return []string{settleMessagesSQL, settleOutboxSQL} }
