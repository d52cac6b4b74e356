// Package moving is a vault on its way from one place to another while the server works: new secrets go to the new place, and those of the old one are
// copied there one by one and read back, until the old place can be let go. It exists so that a team outgrows the vault of its data
// directory without a night shift.
//
// It needs no record of its own. What is in the old place and in use is still to be moved; a copy that is there already is compared instead. So a move that
// was cut off anywhere goes on where it was, and only the last step, which lets the old place go, cannot be undone.
package moving
