package console

import (
	"runtime"

	"github.com/forgecroft/forgecroft/internal/forgecroft"
)

// SystemView is the installation.
type SystemView struct {
	Facts    []Fact
	Health   HealthView
	Ring     *RingView // nil: the viewer may not know, or the vault has keys of its own
	RingNote string    // why there is none
}

func (SystemView) template() string { return "system" }

// RingView is the vault's key ring, with the progress of a rotation.
type RingView struct {
	Keys       []RingKeyView
	Rotating   bool
	Moved, All int64
	CanRotate  bool
}

// RingKeyView is one key of the ring, never the key itself.
type RingKeyView struct {
	ID      string
	Primary bool
	Secrets int64
}

// system shows the installation.
func (c *Console) system(v *visit) (answer, error) {
	health, err := c.health(v)
	if err != nil {
		return answer{}, err
	}
	view := SystemView{Health: health}
	view.Facts = append(view.Facts, Fact{"Version", c.version})
	view.Facts = append(view.Facts, c.facts...)
	view.Facts = append(view.Facts, Fact{"Built with", runtime.Version()})
	if !v.may(forgecroft.PermInstance) {
		view.RingNote = "The vault's keys are for owners to see."
		return show(v.page("System", "system", view))
	}
	ring, err := c.broker.ListVaultKeys(v.Context(), v.call())
	switch {
	case codeOf(err) == "no_key_ring":
		view.RingNote = "This vault manages its own keys. Rotate them there."
	case err != nil:
		view.RingNote = "The vault does not answer, so its keys cannot be shown."
	default:
		view.Ring = &RingView{Rotating: ring.Rotating, CanRotate: true}
		for _, k := range ring.Keys {
			view.Ring.Keys = append(view.Ring.Keys, RingKeyView{k.ID, k.Primary, k.Secrets})
			view.Ring.All += k.Secrets
			if k.Primary {
				view.Ring.Moved = k.Secrets
			}
		}
	}
	return show(v.page("System", "system", view))
}

// rotateWord is what must be typed before a rotation.
const rotateWord = "rotate"

// rotatePage asks before the vault's key is rotated.
func rotatePage(v *visit, primary string) Page {
	return v.ask("Rotate the vault's key", "system", Danger{
		Act: "Rotate", Name: rotateWord, Cancel: Root + "system", Was: primary,
		Warning: "A new primary key is written to the key source, and all secret versions are moved to it in the background. Runs go on meanwhile. " +
			"Back the key source up afterwards: older backups of it cannot open what is stored from now on.",
	})
}

// confirmRotate asks before the vault's key is rotated.
func (c *Console) confirmRotate(v *visit) (answer, error) {
	primary, err := c.primaryKey(v)
	if err != nil {
		return answer{}, err
	}
	return show(rotatePage(v, primary))
}

// primaryKey is the id of the key that seals.
func (c *Console) primaryKey(v *visit) (string, error) {
	ring, err := c.broker.ListVaultKeys(v.Context(), v.call())
	for _, k := range ring.Keys {
		if k.Primary {
			return k.ID, err
		}
	}
	return "", err
}

// rotate makes a new primary key, unless somebody has since the question was asked: the same form, sent twice.
func (c *Console) rotate(v *visit) (answer, error) {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	primary, err := c.primaryKey(v)
	if err != nil {
		return answer{}, err
	}
	if was := v.line("was"); was != "" && was != primary {
		return to(Root+"system", "rotated-already")
	}
	if err = c.confirmed(v, rotateWord); err == nil {
		_, err = c.broker.RotateVaultKey(v.Context(), v.call())
	}
	if err != nil {
		return v.again(err, func() (Page, error) { return rotatePage(v, primary), nil })
	}
	return to(Root+"system", "rotation-started")
}
