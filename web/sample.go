package web

import "context"

// sampleRemove takes the sample channels away at once; what came through them goes in the background.
func (s *Server) sampleRemove(ctx context.Context, _ *struct{}) (*nothing, error) {
	return done(s.deps.Channels.RemoveSample(ctx, CallerFrom(ctx)))
}
