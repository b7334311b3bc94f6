package web

// channelRoutes is the part of the table that belongs to channel.
func (s *Server) channelRoutes() []route {
	return nil
}
