package console

import (
	"fmt"
	"time"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// The size of the chart in its own units; the page scales it.
const (
	chartHours  = 24
	barWidth    = 10
	barGap      = 3
	chartHeight = 56
	chartTick   = 6 // hours between the times below
)

// Chart is the deliveries of the last day, hour by hour.
type Chart struct {
	Bars         []Bar
	Width        int
	Height       int
	Total        int
	Failed       int
	Most         int      // in one hour: the top of the axis
	Ticks        []string // times of the axis below, from the first bar to the last
	Summary      string   // for those who cannot see the bars
	MoreThanSeen bool     // older deliveries of the day were not counted
}

// Bar is one hour. Failed deliveries and denials stand on top of those that went well.
type Bar struct {
	X, Width            int
	Y, Height           int
	FailedY, FailedHigh int
	Delivered, Failed   int
	Hour                string
	Href                string // the deliveries of the hour
}

// chart counts the deliveries of the last day. Who may not read what was delivered gets no chart.
func (c *Console) chart(v *visit) (*Chart, error) {
	if !v.may(forgecroft.PermRead) {
		return nil, nil
	}
	start := v.now.Truncate(time.Hour).Add((1 - chartHours) * time.Hour)
	counted, err := c.broker.CountDeliveries(v.Context(), v.call(), start)
	if err != nil {
		return nil, err
	}
	delivered, failed := make([]int, chartHours), make([]int, chartHours)
	for _, count := range counted.Counts {
		hour := int(count.Hour.Sub(start) / time.Hour)
		switch {
		case hour >= chartHours: // Another replica's clock is ahead.
		case count.Outcome == forgecroft.OutcomeAllowed:
			delivered[hour] += int(count.Count)
		default:
			failed[hour] += int(count.Count)
		}
	}
	chart := newChart(start, delivered, failed)
	chart.MoreThanSeen = counted.More
	return chart, nil
}

// newChart draws the bars.
func newChart(start time.Time, delivered, failed []int) *Chart {
	c := &Chart{Width: len(delivered)*(barWidth+barGap) - barGap, Height: chartHeight}
	tallest := 1
	for i := range delivered {
		tallest = max(tallest, delivered[i]+failed[i])
	}
	for i := range delivered {
		b := Bar{X: i * (barWidth + barGap), Width: barWidth, Delivered: delivered[i], Failed: failed[i]}
		hour := start.Add(time.Duration(i) * time.Hour).UTC()
		b.Hour = hour.Format("15:04")
		b.Href = deliveriesAddress("since", hour.Format(minuteLayout), "until", hour.Add(time.Hour).Format(minuteLayout))
		if i%chartTick == 0 {
			c.Ticks = append(c.Ticks, b.Hour)
		}
		b.Height, b.FailedHigh = scaled(delivered[i], tallest), scaled(failed[i], tallest)
		b.Y = chartHeight - b.Height
		b.FailedY = b.Y - b.FailedHigh
		c.Bars = append(c.Bars, b)
		c.Total += delivered[i]
		c.Failed += failed[i]
	}
	c.Most = tallest
	c.Ticks = append(c.Ticks, "now")
	c.Summary = fmt.Sprintf("%s and %s in the last 24 hours", count(c.Total, "delivery"), count(c.Failed, "refusal"))
	if c.Total != 1 {
		c.Summary = fmt.Sprintf("%d deliveries and %s in the last 24 hours", c.Total, count(c.Failed, "refusal"))
	}
	return c
}

// scaled is the height of a number, at least visible if it is not zero.
func scaled(n, tallest int) int {
	if n == 0 {
		return 0
	}
	return max(2, n*chartHeight/tallest)
}
