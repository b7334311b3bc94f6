package main

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"math"
)

const (
	pictureWidth  = 1280
	pictureHeight = 960
)

// picture is a JPEG whose colour at each point is fn's, with x and y from 0 to 1.
func picture(fn func(x, y float64) color.RGBA) []byte {
	img := image.NewRGBA(image.Rect(0, 0, pictureWidth, pictureHeight))
	for py := range pictureHeight {
		for px := range pictureWidth {
			img.SetRGBA(px, py, fn(float64(px)/pictureWidth, float64(py)/pictureHeight))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}); err != nil {
		panic(err) // an image of our own into memory
	}
	return b.Bytes()
}

func shade(c color.RGBA, by float64) color.RGBA {
	dim := func(v uint8) uint8 { return uint8(max(0, min(255, float64(v)*by))) }
	return color.RGBA{dim(c.R), dim(c.G), dim(c.B), 255}
}

// lampPicture is a lamp on a table with a crack in its shade.
func lampPicture() []byte {
	var (
		wall   = color.RGBA{214, 205, 190, 255}
		table  = color.RGBA{120, 82, 54, 255}
		linen  = color.RGBA{246, 232, 200, 255}
		brass  = color.RGBA{176, 141, 72, 255}
		broken = color.RGBA{70, 52, 40, 255}
	)
	return picture(func(x, y float64) color.RGBA {
		off := math.Abs(x - 0.5)
		crack := 0.545 + 0.012*math.Sin(y*90) + 0.05*(y-0.3)
		switch {
		case y > 0.2 && y < 0.5 && off < 0.1+0.28*(y-0.2): // the shade, brighter in the middle
			if y > 0.27 && y < 0.46 && math.Abs(x-crack) < 0.0035 {
				return broken
			}
			return shade(linen, 1.02-off*0.9)
		case y >= 0.5 && y < 0.76 && off < 0.012:
			return shade(brass, 1.15-off*30)
		case y >= 0.76 && y < 0.8 && off < 0.1:
			return shade(brass, 1.1-off*4)
		case y > 0.78:
			return shade(table, 1.1-0.5*(y-0.78)-0.03*math.Sin(x*60+y*14))
		default:
			return shade(wall, 1.08-0.55*math.Hypot(x-0.5, (y-0.42)*0.8))
		}
	})
}

// errorPicture is a photograph of a screen with a red message on it.
func errorPicture() []byte {
	var (
		desk   = color.RGBA{58, 62, 70, 255}
		page   = color.RGBA{250, 250, 248, 255}
		field  = color.RGBA{226, 226, 222, 255}
		alert  = color.RGBA{196, 52, 44, 255}
		button = color.RGBA{30, 96, 90, 255}
	)
	within := func(x, y, left, top, right, bottom float64) bool {
		return x > left && x < right && y > top && y < bottom
	}
	return picture(func(x, y float64) color.RGBA {
		switch {
		case !within(x, y, 0.12, 0.12, 0.88, 0.88):
			return shade(desk, 1.1-0.4*y)
		case within(x, y, 0.2, 0.24, 0.62, 0.28), within(x, y, 0.2, 0.38, 0.8, 0.46):
			return field
		case within(x, y, 0.2, 0.49, 0.8, 0.57):
			return alert
		case within(x, y, 0.2, 0.7, 0.42, 0.78):
			return button
		default:
			return shade(page, 1-0.06*y)
		}
	})
}
