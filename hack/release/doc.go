// Command release builds the archives that .krew.yaml names, and fills in that template:
//
//	release archives -version V [-commit C] [-date D] [-platforms host|all|os/arch,...] [-dist DIR]
//	release manifest -version V [-dist DIR] [-allow-missing] -o FILE
//	release platforms
//
// The template is the only place that lists platforms and file names: what is built is what it asks for, so that a
// manifest cannot point at an archive which nothing makes. It runs the go command and writes below the folder it is
// told; it downloads and uploads nothing.
package main
