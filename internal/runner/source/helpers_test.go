package source

// Planted secrets, put together here so that no scanner takes this file for leaky.
var (
	githubToken = "ghp_" + "1a2B3c4D5e6F7g8H9i0J1k2L3m4N5o6P7q8R"
	privateKey  = "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7f3k9Zq2LwV8nTb5RyC1mUe4Jd6Hs0Ga\n" +
		"Pq3Wz8Xn5Kt7Lv2Yb9Mc4Rd1Fe6Gh0Ji3Uo8Sa5Tw7Qx2Zy\n-----END RSA " + "PRIVATE KEY-----"
)
