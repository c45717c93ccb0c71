// Prints the statuses that @sd-jwt/jwt-status-list reads from a status list token.
//
//   node read.mjs TOKEN INDEX…
import { getListFromStatusListJWT } from '@sd-jwt/jwt-status-list'

const [token, ...indices] = process.argv.slice(2)
const list = getListFromStatusListJWT(token)
for (const index of indices) {
  console.log(list.getStatus(Number(index)))
}
