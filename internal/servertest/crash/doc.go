// Package crash holds the crash harness: it kills the real server at system calls of its storage and of its answers, starts it again, and compares what it
// finds with a model of everything that was acknowledged. It has tests only.
package crash
