package sandbox

// What tests of workspaces know of their insides.
const DirPrefix = dirPrefix

var LockDir = lockDir
