package inbox

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"

	_ "image/gif" // pictures that browsers show
	_ "image/png"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp"
)

const (
	previewType   = "image/jpeg"
	previewSide   = 640        // pixels of the longer side: a bubble on a dense screen
	maxPixels     = 25_000_000 // a picture of more is a bomb or a scan: it is kept, without preview
	previewLevel  = 82
	whiteUnderlay = 0xff
)

var errTooManyPixels = errors.New("too many pixels")

// shrink makes a JPEG of at most previewSide pixels a side, and tells the picture's own size. The header is read before
// any pixel, so that a small file with a huge picture costs nothing.
func shrink(r io.ReadSeeker) (small []byte, width, height int, err error) {
	defer func() { // a picture made to break a decoder must not break the hub
		if p := recover(); p != nil {
			small, width, height, err = nil, 0, 0, fmt.Errorf("decode picture: panic: %v", p)
		}
	}()
	conf, _, err := image.DecodeConfig(r)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("read picture header: %w", err)
	}
	if conf.Width <= 0 || conf.Height <= 0 || conf.Width > maxPixels/conf.Height {
		return nil, 0, 0, errTooManyPixels
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, 0, 0, err
	}
	img, _, err := image.Decode(r)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("decode picture: %w", err)
	}
	w, h := conf.Width, conf.Height
	if long := max(w, h); long > previewSide {
		w, h = max(1, w*previewSide/long), max(1, h*previewSide/long)
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range dst.Pix { // JPEG has no transparency
		dst.Pix[i] = whiteUnderlay
	}
	draw.ApproxBiLinear.Scale(dst, dst.Bounds(), img, img.Bounds(), draw.Over, nil)
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, dst, &jpeg.Options{Quality: previewLevel}); err != nil {
		return nil, 0, 0, fmt.Errorf("encode preview: %w", err)
	}
	return buf.Bytes(), conf.Width, conf.Height, nil
}
