// Package forgecroft is the vocabulary of the product: its nouns, their limits and rules, and the two contracts (store and
// vault) that have more than one implementation. It is pure: no I/O, and no imports but the standard library, so that every
// rule is written once, above both databases and both vaults.
package forgecroft
