package web

// inboxRoutes is the part of the table that belongs to inbox.
func (s *Server) inboxRoutes() []route {
	return nil
}
