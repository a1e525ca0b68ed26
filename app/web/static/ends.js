/** What is said where a race cannot be played, or not any more. */

export const wordsOf = ({ detail }) => `${detail}. Reload the page to try again.`;
