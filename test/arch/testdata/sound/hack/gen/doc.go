// Command gen is a program for the house-keeping: it may print and exit.
package main
