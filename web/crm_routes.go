package web

// crmRoutes is the part of the table that belongs to crm.
func (s *Server) crmRoutes() []route {
	return nil
}
