package main

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics collects what the rooms count.
type metrics struct{ *prometheus.Registry }

func newMetrics() metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return metrics{r}
}

func (m metrics) seconds(name, help string, value func() time.Duration) {
	m.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_" + name + "_seconds", Help: help},
		func() float64 { return value().Seconds() }))
}

func (m metrics) gauge(name, help string, value func() float64) {
	m.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "parley_" + name, Help: help}, value))
}

func (m metrics) count(name, help string, n *atomic.Int64) {
	m.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "parley_" + name + "_total", Help: help},
		func() float64 { return float64(n.Load()) }))
}
