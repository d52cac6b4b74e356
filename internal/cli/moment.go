package cli

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// span is a length of time in units that [time.ParseDuration] lacks or spells otherwise.
var span = regexp.MustCompile(`^(\d{1,6})\s*(m|min|minutes?|h|hours?|d|days?|w|weeks?)$`)

// units are the units of [span], by their first letter.
var units = map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}

// length reads a length of time: 30d, 2 weeks, 720h, 1h30m.
func length(text string) (time.Duration, bool) {
	if found := span.FindStringSubmatch(text); found != nil {
		n, err := strconv.ParseInt(found[1], 10, 64)
		return time.Duration(n) * units[found[2][0]], err == nil
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// moment reads a time as people write one. A length of time counts from now: ahead, or, with past
// set, back. A date is its beginning in the local time zone.
func moment(text string, now time.Time, past bool) (time.Time, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	before, ago := strings.CutSuffix(text, " ago")
	if d, ok := length(strings.TrimSpace(before)); ok {
		if past || ago {
			d = -d
		}
		return now.Add(d).UTC().Truncate(time.Second), true
	}
	year, month, day := now.Local().Date()
	switch text {
	case "now":
		return now.UTC(), true
	case "today":
		return time.Date(year, month, day, 0, 0, 0, 0, time.Local).UTC(), true
	case "yesterday":
		return time.Date(year, month, day-1, 0, 0, 0, 0, time.Local).UTC(), true
	case "tomorrow":
		return time.Date(year, month, day+1, 0, 0, 0, 0, time.Local).UTC(), true
	}
	if t, err := time.Parse(time.RFC3339, strings.ToUpper(text)); err == nil {
		return t.UTC(), true
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
